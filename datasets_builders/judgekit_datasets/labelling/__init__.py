"""Labels from judges, from rollouts and from votes; many workers, no work done twice."""
