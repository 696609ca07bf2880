"""A plan to look at, with a cloud that exists nowhere: what `unipam run --sample` shows. Everything in it is made up."""
