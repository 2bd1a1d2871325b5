"""Work on the machines of a Ray cluster: long-lived workers for photos, and single tasks.

This is Ray Core and not Ray Data. Ray Data would run blocks of photos, repeat a block as a whole
when a worker is lost, and end the run over a photo that ends every worker that opens it.
"""
