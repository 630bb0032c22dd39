"""The campaign of `make chaos`, in parts that its short form in the tests uses too."""
