"""The main job on real data: handwritten digits from scikit-learn's own scans, trained on two nodes and served."""
