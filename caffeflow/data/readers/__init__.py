"""Reading what sinks, or Caffe's own tools, have written: LMDBs of Datums, and image lists."""
