"""The same on a few hundred images of VOC 2007, one process."""

_base_ = ['../_base_/faster_rcnn_c4.py', '../_base_/voc_small.py']
# In a config on top of this one by gaia_ssl::, mmengine looks all types up in gaia_ssl, unless the first dict with a type, which
# is then the whole config, names a scope.
type, _scope_ = 'config', 'mmdet'
