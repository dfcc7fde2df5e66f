"""Frozen networks that a supernet learns from: any backbone of a registry, a ResNet's checkpoint, a torch.export file."""

from gaia_ssl.models.teachers.exported_program import ExportedProgram
from gaia_ssl.models.teachers.features import TeacherFeatures
from gaia_ssl.models.teachers.frozen_teacher import FrozenTeacher
from gaia_ssl.models.teachers.pretrained_resnet import PretrainedResNet

__all__ = ['ExportedProgram', 'FrozenTeacher', 'PretrainedResNet', 'TeacherFeatures']
