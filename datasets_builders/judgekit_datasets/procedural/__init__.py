"""Problems and solutions made by programs."""
