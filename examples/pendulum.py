"""Pendulums, which a motor with a bound holds upright and somebody pushes; and a simple controller."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from examples.small import Array

#: Angle from upright in rad and its speed in rad/s: states are anywhere within.
BOX = np.array([1.0, 4.0])
#: Angular accelerations in rad/s², lying flat and at the motor's bound; gains for angle and speed.
GRAVITY, BOUND, GAINS = 10.0, 20.0, np.array([30.0, 6.0])
#: Seconds from action to action, actions, actions from push to push.
STEP, ACTIONS, PUSHED = 0.02, 200, 50
PENDULUMS = 20

#: The motor's torque as a share of its bound [N, 1], for states float32 [N, 2].
Policy = Callable[[Array], Array]


def controller(states: Array) -> Array:
    """Feedback of angle and speed, cut off at the bound."""
    return np.clip(-(states @ GAINS)[:, None] / BOUND, -1, 1)


def begin(rng: np.random.Generator) -> tuple[Array, Array]:
    """First states [PENDULUMS, 2], and changes of speed by each push."""
    states = 0.7 * BOX * rng.uniform(-1, 1, (PENDULUMS, 2))
    return states, rng.uniform(-2, 2, (ACTIONS // PUSHED, PENDULUMS))


def loop(policy: Policy, states: Array, pushes: Array) -> Array:
    """The states [ACTIONS, PENDULUMS, 2] that a policy leads to from the first ones."""
    seen = []
    for number in range(ACTIONS):
        if number and number % PUSHED == 0:
            states = states + np.stack([np.zeros(PENDULUMS), pushes[number // PUSHED]], axis=1)
        seen.append(states)
        angle, speed = states.T
        speed = speed + STEP * (GRAVITY * np.sin(angle) + BOUND * policy(states.astype(np.float32))[:, 0])
        states = np.stack([angle + STEP * speed, speed], axis=1)
    return np.stack(seen)
