"""A judge as an HTTP service, and the judge that asks such a service as if it were local.

Routes: `GET /health` (open), and behind the bearer token `GET /judge` (what judge it is), `POST /judge` (judge some
solutions) and `GET /metrics`. Everything but the metrics is JSON; `judgekit/serving/wire.py` says what it holds.
"""
