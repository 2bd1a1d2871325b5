"""Public photo collections in their official layouts, made into folders to train and test on."""
