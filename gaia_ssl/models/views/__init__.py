"""Views of images, made on the device in batches: the random changes of colour, sharpness and side."""

from gaia_ssl.models.views.changed_views import ChangedViews, can_change

__all__ = ['ChangedViews', 'can_change']
