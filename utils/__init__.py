"""Helpers shared by the notebooks: data, counterfactual data, the CNN, DAS and IIT."""
__version__ = "1.0.0"
