"""The real Caffe: starting its tools and following what they say."""
