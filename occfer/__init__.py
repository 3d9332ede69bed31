"""occfer: occluded facial expression recognition with privileged information (Pan, Wang and Xia, MM 2019)."""
