import numpy as np
import pytest
import torch

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.registry import MODELS
from tests.models.algorithms.helpers import batch, build_supernet, normalised, teacher_keys

METHOD = 'SupernetReSSL'


def softmax(scores: np.ndarray) -> np.ndarray:
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def test_the_loss_in_numpy(tiny_space):
    model = build_supernet(METHOD, tiny_space)
    model.backbone.set_arch(Arch.parse('4-8x1-8x2-16x2-12x1'))
    views = normalised(batch(5)['inputs'])
    targets = model.teach(views)
    keys = teacher_keys(model, views[1])  # the second, weak view is the teacher's
    torch.testing.assert_close(targets['keys'], keys, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        loss = float(model.loss(views, targets))
        queries, queue = model.embed_student(views[0]).double().numpy(), model.queue.double().numpy()
    queries /= np.sqrt((queries**2).sum(1, keepdims=True))
    teacher, student = softmax(keys.double().numpy() @ queue / 0.04), softmax(queries @ queue / 0.1)
    assert loss == pytest.approx(-(teacher * np.log(student)).sum(1).mean(), rel=1e-4)


def test_relations_are_in_float32_under_autocast(tiny_space, monkeypatch):
    model, seen = build_supernet(METHOD, tiny_space), []
    monkeypatch.setattr(model.head, 'loss', lambda *relations: seen.extend(relations))
    views = normalised(batch(5)['inputs'])
    with torch.autocast('cpu', torch.bfloat16):
        targets = model.teach(views)
        embeddings = model.embed_student(views[0])
        model.loss(views, targets)
    assert embeddings.dtype == torch.bfloat16
    for found, features in zip(seen, (torch.nn.functional.normalize(embeddings.float(), dim=1), targets['keys']), strict=True):
        assert torch.equal(found, features @ model.queue)


def test_temperatures_are_those_of_the_head():
    student, teacher = torch.rand(3, 7), torch.rand(3, 7)
    head = MODELS.build(dict(type='gaia_ssl.RelationHead', student_temperature=0.5, teacher_temperature=0.25))
    expected = -(torch.softmax(teacher / 0.25, 1) * torch.log_softmax(student / 0.5, 1)).sum(1).mean()
    torch.testing.assert_close(head.loss(student, teacher), expected)


@pytest.mark.parametrize('temperatures', [(0., 0.04), (0.1, -1.)])
def test_a_temperature_above_zero(temperatures):
    names = ('student_temperature', 'teacher_temperature')
    with pytest.raises(UserError, match='above 0'):
        MODELS.build(dict(type='gaia_ssl.RelationHead', **dict(zip(names, temperatures, strict=True))))
