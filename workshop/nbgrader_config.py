"""nbgrader's settings for a course from this series; copy it into the course's folder."""
from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import NbGraderPreprocessor


class ShowStub(NbGraderPreprocessor):
    """Show the learner the cell in which to write; the source folds it, for it holds the solution there."""

    def preprocess_cell(self, cell, resources, index):
        """Drop the mark that hides a cell's source."""
        cell.metadata.pop("jupyter", None)
        return cell, resources


c = get_config()  # noqa: F821, nbgrader provides it
c.CourseDirectory.course_id = "iit"
c.ClearSolutions.code_stub = {"python": '# Your code here\nraise NotImplementedError("Replace this line by your code")'}
c.GenerateAssignment.preprocessors = [ShowStub, *GenerateAssignment.preprocessors.default()]
c.Execute.timeout = 1800  # seconds a cell; the longest trainings take about two minutes
