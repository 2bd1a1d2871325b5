"""Networks of other papers, which the benchmarks compare with the bundled ones."""
