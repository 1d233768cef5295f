"""The compiled search: one kernel for all terms.

Rooms, each reading only those above it:

`jit`
    How functions are compiled and where the compiled code is kept.
`state`
    What is known about an assignment, and how a move changes it in O(1).
`delta`
    What a move would cost, cheapest check first.
`moves`
    Which moves are proposed: shift, swap, chain, bloc.
`acceptance`
    Which of them are taken: the temperature, found from the moves themselves.
`anneal`
    Search by annealing, and plain descent as its limit at temperature 0.
`neighbourhood`
    Search by removing some items and placing them again as well as a bounded tree search can.

Only `drs.solvers.localsearch` is imported from outside; numba is loaded when the first search begins.
"""
