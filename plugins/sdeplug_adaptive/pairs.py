r"""Embedded Runge-Kutta pairs of orders 5 and 4 whose last stage is the first of the next step.

.. math:: k_i = v\Big(y + h \sum_{j < i} a_{ij} k_j,\; t + c_i h\Big), \qquad
          y' = y + h \sum_j a_{7j} k_j, \qquad E = h \sum_i e_i k_i.

Dormand & Prince, J. Comput. Appl. Math. 6 (1980) 19-26; Tsitouras, Comput. Math. Appl. 62 (2011)
770-775, table 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Coefficients of a pair with seven stages.

    Attributes:
        a: row i has the weights of the earlier stages in stage i + 1; the last row gives y'.
        c: times of stages 2 to 7, as parts of the step.
        e: weights of all stages in the error: those of order 5 less those of order 4.
    """

    a: tuple[tuple[float, ...], ...]
    c: tuple[float, ...]
    e: tuple[float, ...]


DORMAND_PRINCE = Pair(
    a=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    c=(1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    e=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)

TSITOURAS = Pair(
    a=(
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (
            5.86145544294642,
            -12.92096931784711,
            8.159367898576159,
            -0.071584973281401,
            -0.028269050394068383,
        ),
        (
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
        ),
    ),
    c=(0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    e=(
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        0.015151515151515152,
    ),
)
