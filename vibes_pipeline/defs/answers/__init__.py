"""Answers: where sellers stand."""
