"""A plan to look at, with a cloud that exists nowhere: what `unipam run --sample` shows. All of it is made up."""
