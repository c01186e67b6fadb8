"""If, Elif, Else, one in another; OneOf of parameters and of artifacts, given on and as the pipeline's output."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def roll(sides: int) -> int:
    return sides


@dsl.component(base_image="python:3.11")
def say(text: str) -> str:
    return text


@dsl.component(base_image="python:3.11")
def draw(text: str, picture: dsl.Output[dsl.Artifact]):
    with open(picture.path, "w") as file:
        file.write(text)


@dsl.component(base_image="python:3.11")
def show(picture: dsl.Input[dsl.Artifact]) -> str:
    with open(picture.path) as file:
        return file.read()


@dsl.pipeline(name="branches")
def pipeline(sides: int = 20, word: str = "b") -> str:
    rolled = roll(sides=sides)
    with dsl.If(rolled.output == 2, name="coin"):
        coin, drawn_coin = say(text="coin"), draw(text="coin")
    with dsl.Elif(rolled.output <= 4, name="die"):
        die, drawn_die = say(text="die"), draw(text="die")
    with dsl.Elif(rolled.output < 20):
        odd, drawn_odd = say(text="odd"), draw(text="odd")
    with dsl.Else(name="other"):
        other, drawn_other = say(text="other"), draw(text="other")
        with dsl.If(word == "b"):
            say(text="b")
    named = dsl.OneOf(coin.output, die.output, odd.output, other.output)
    picture = dsl.OneOf(
        drawn_coin.outputs["picture"],
        drawn_die.outputs["picture"],
        drawn_odd.outputs["picture"],
        drawn_other.outputs["picture"],
    )
    say(text=named)
    show(picture=picture)
    return named
