"""Ways through the dicts, lists and tuples of a config."""

from gaia_ssl.config_place import place_name, places, value_at, with_value


def test_a_value_is_found_named_and_replaced():
    config = dict(neck=dict(in_channels=(256, 512)), heads=[dict(type='A'), dict(type='B', width=512)])
    found = [place for place, value in places(config) if value == 512]
    assert found == [('neck', 'in_channels', 1), ('heads', 1, 'width')]
    assert [place_name(place) for place in found] == ['neck.in_channels[1]', 'heads[1].width']
    for place in found:
        assert value_at(config, place) == 512
        config = with_value(config, place, 7)
    assert config == dict(neck=dict(in_channels=(256, 7)), heads=[dict(type='A'), dict(type='B', width=7)])
    assert with_value(config, (), 'all of it') == 'all of it'
