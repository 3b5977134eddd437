"""Records of sellers and products over the observed windows."""
