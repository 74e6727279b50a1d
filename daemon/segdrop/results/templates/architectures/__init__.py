"""The parts of predict.py and README.txt that know a family of architectures: two files for each."""
