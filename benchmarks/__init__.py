"""Programs that compare symdata with what people use today; see README.md."""
