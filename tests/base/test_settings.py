"""What a process is told when it starts."""

import pytest

from libs.base import BadSettings, Settings


class GatewaySettings(Settings):
    upstreams: dict[str, str] = {}
    local_user: bool = False


def test_settings_come_from_prefixed_variables():
    told = Settings.from_env({"MILLSTREAM_PORT": "9000", "MILLSTREAM_NATS_URL": "nats://x", "PORT": "1"}, service="t")
    assert (told.service, told.port, told.nats_url, told.host) == ("t", 9000, "nats://x", "127.0.0.1")


def test_a_service_adds_its_own_fields():
    environ = {"MILLSTREAM_UPSTREAMS": '{"trainer": "http://t"}', "MILLSTREAM_LOCAL_USER": "true"}
    told = GatewaySettings.from_env(environ, service="gateway")
    assert told.upstreams == {"trainer": "http://t"}
    assert told.local_user is True


def test_an_empty_variable_counts_as_unset():
    assert Settings.from_env({"MILLSTREAM_NATS_URL": ""}, service="t").nats_url is None


def test_the_usual_kubeconfig_variable_is_understood_and_yields_to_our_own():
    assert Settings.from_env({"KUBECONFIG": "a"}, service="t").kubeconfig == "a"
    assert Settings.from_env({"KUBECONFIG": "a", "MILLSTREAM_KUBECONFIG": "b"}, service="t").kubeconfig == "b"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "MILLSTREAM_SERVICE: Field required"),
        ({"MILLSTREAM_SERVICE": "t", "MILLSTREAM_PORT": "http"}, "MILLSTREAM_PORT: Input should be a valid integer"),
        ({"MILLSTREAM_SERVICE": "t", "MILLSTREAM_UPSTREAMS": "trainer=x"}, "MILLSTREAM_UPSTREAMS must be JSON"),
    ],
    ids=["nothing told", "a port that is no number", "a map that is no JSON"],
)
def test_a_wrong_setting_names_its_variable(environ: dict[str, str], message: str):
    with pytest.raises(BadSettings, match=message):
        GatewaySettings.from_env(environ)


def test_secrets_stay_out_of_the_text_form():
    told = Settings(service="t", s3_secret_key="hush", store_url="postgresql://u:hush@h/d")
    assert "hush" not in repr(told)
