"""Raw records to account features at a moment: contract, ledger, intake, catalogue, evaluators, labels."""
