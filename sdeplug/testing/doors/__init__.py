"""The doors to the checks, and the report on what they say."""

from sdeplug.testing.doors.checks import CHECKS as CHECKS
from sdeplug.testing.doors.checks import CONTRACT as CONTRACT
from sdeplug.testing.doors.checks import FAST as FAST
from sdeplug.testing.doors.checks import LAW as LAW
from sdeplug.testing.doors.doors import check_solver as check_solver
from sdeplug.testing.doors.doors import parametrize_with_checks as parametrize_with_checks
from sdeplug.testing.doors.doors import selected as selected
from sdeplug.testing.doors.judging import judge as judge
from sdeplug.testing.doors.pipelines import check_pipeline as check_pipeline
from sdeplug.testing.doors.report import Report as Report
