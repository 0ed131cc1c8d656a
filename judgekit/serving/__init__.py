"""A judge as an HTTP service, and the judge that asks such a service as if it were local.

Routes: `GET /health`, open to all; behind the bearer token `POST /describe` (which judge it is), `POST /judge` (judge
some solutions) and `GET /metrics`. All but the metrics is JSON; `judgekit/serving/wire.py` says what it holds.
"""
