from sdeplug_example import ExponentialMidpoint

from sdeplug.testing import parametrize_with_checks


@parametrize_with_checks([ExponentialMidpoint()])
def test_solver(check):
    check()
