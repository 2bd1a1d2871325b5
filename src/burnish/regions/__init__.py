"""Regions: the part of an image that an edit applies to, and the edits that need one."""
