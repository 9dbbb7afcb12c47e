"""The walk of one real request: predicted from the model, then shown by what kernels and HAProxy saw of it. Pure."""

from .evidence import Evidence
from .model import HERE, Prediction, Request, Stop
from .predict import predict
from .steps import Walk
from .walk import dry, join

__all__ = ["HERE", "Evidence", "Prediction", "Request", "Stop", "Walk", "dry", "join", "predict"]
