"""The walk of one real request: predicted from the model, then shown by what kernels and HAProxy saw of it. Pure."""

from .model import HERE, Evidence, Prediction, Request, Stop, Walk
from .predict import predict
from .walk import dry, join

__all__ = ["HERE", "Evidence", "Prediction", "Request", "Stop", "Walk", "dry", "join", "predict"]
