"""A judge as an HTTP service, and a client judge that calls such a service as if it were local.

Routes: `GET /health`, open to all; behind the bearer token `POST /describe` (which judge it is), `POST /judge` (judge
solutions) and `GET /metrics`. All but the metrics are JSON; `judgekit/serving/wire.py` defines it.
"""
