# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What operators ask about people and devices: what is decided, what gateways say, and what it means. Pure."""
