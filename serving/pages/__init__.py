"""Pages for people: accounts, one account, and the model, in English and Chinese, without a request to elsewhere."""
