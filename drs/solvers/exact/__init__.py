"""Engines that prove: the problem as a linear model with whole variables, for CP-SAT and HiGHS."""
