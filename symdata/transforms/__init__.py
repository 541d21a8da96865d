"""What an element of O(2) does to the pixels of images."""
