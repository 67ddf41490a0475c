"""Helpers shared by the notebooks: data, counterfactual data, the CNN, DAS and IIT."""
