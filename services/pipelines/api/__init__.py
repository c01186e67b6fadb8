"""The HTTP routes of pipelines: KFP's REST API, and the door at which steps fetch and report."""
