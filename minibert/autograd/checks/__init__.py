"""Is a gradient right? The complex step against backward."""
