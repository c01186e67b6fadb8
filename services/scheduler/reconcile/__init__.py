"""What is brought towards the wish of an object: triggers by the clock; each module is one kind's."""
