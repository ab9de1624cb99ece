"""The two interfaces: `Service` for people and their tools, `RunnerPort` for runners, with what they take.

Promises and errors stand here, and what each operation for people is over HTTP; no implementation does.
"""
