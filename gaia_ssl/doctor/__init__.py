"""What is wrong with an environment, and the command that mends it.

Standard library and relative imports only: this runs where gaia_ssl cannot be imported (``tools/doctor.py`` loads it by
its path). Whatever may crash while it is imported is imported in a process of its own.
"""

from .checks import FAIL, OK, WARN, Finding, examine
from .environment import Environment

__all__ = ['FAIL', 'OK', 'WARN', 'Environment', 'Finding', 'examine']
