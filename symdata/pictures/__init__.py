"""Pictures of images, elements and accuracies."""
