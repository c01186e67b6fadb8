"""What KFP compiles (the IR, schema 2.1.0), read and checked; nothing here knows protobufs, YAML or a run."""
