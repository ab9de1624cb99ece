from respawn_jobs.ids import is_id, new_id


def test_ids_are_told_apart_and_recognised():
    ids = {new_id("run") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_id("run", one) and not is_id("job", one) for one in ids)


def test_no_character_of_an_id_can_be_misread():
    assert not set("ilou") & set("".join(new_id("run").removeprefix("run-") for _ in range(200)))
