"""What Respawn brings back, compared with the notebook run from the top by plain papermill."""
