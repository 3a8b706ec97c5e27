"""From the model to ordered steps, and the record of what runs did with them."""
