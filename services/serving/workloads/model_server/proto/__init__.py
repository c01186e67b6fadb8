"""The wire messages of the Open Inference Protocol over gRPC; `inference_pb2` is generated from `inference.proto`."""
