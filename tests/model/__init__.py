# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A state machine that holds the shipped code against a model of the rules.

`rules` is the model: the rules of docs/architecture.md as plain statements, which import nothing of the collection.
`world` has IAM, the registry, operators and a gateway, all driven through the shipped code. The machine does things to
both and compares them after every step.
"""
